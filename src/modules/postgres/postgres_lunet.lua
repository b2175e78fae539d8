-- What is PostgreSQL's own of `lunet.postgres`.

local I, postgres, facade, options = ...

return facade()(I, postgres, {
    config = options(I, { host = 'localhost', port = 5432, user = '', password = '', database = '' }),
    escape = postgres.escape,
})
