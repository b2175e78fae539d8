-- What is PostgreSQL's own of `lunet.postgres_tx`.

local db, transactions = ...

return transactions()(db, { begin = function() return 'BEGIN' end })
