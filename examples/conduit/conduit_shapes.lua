-- Rows of the database as the API shows them.

local json = require 'eco.encoding.json'
local tokens = require 'conduit_tokens'

local M = {}

local function array(values)
    return setmetatable(values, json.array_mt)
end

M.array = array

local function time(text)
    return text:sub(1, 10) .. 'T' .. text:sub(12) .. '.000Z'
end

function M.user(row)
    return { user = { email = row.email, token = tokens.make(row.id), username = row.username, bio = row.bio or '', image = row.image } }
end

-- `following` is 1 or 0, or absent for those who are nobody.
local function profile(row)
    return { username = row.username, bio = row.bio or '', image = row.image, following = row.following == 1 }
end

function M.profile(row)
    return { profile = profile(row) }
end

-- Names of tags do not hold the separator: control characters are refused in them.
local function tags(text)
    local names = {}
    for name in (text or ''):gmatch('[^\31]+') do names[#names + 1] = name end
    return array(names)
end

function M.article(row)
    return {
        slug = row.slug, title = row.title, description = row.description, body = row.body, tagList = tags(row.tags),
        createdAt = time(row.created_at), updatedAt = time(row.updated_at),
        favorited = row.favorited == 1, favoritesCount = row.favorites, author = profile(row),
    }
end

function M.comment(row)
    return {
        id = row.id, createdAt = time(row.created_at), updatedAt = time(row.updated_at), body = row.body, author = profile(row),
    }
end

function M.each(rows, shape)
    local shaped = {}
    for i, row in ipairs(rows) do shaped[i] = shape(row) end
    return array(shaped)
end

return M
