-- What is MySQL's own of `lunet.mysql`.

local I, mysql, facade, options = ...

return facade()(I, mysql, {
    config = options(I, { host = 'localhost', port = 3306, user = 'root', password = '', database = '', charset = 'utf8mb4' }),
    escape = mysql.escape,
})
