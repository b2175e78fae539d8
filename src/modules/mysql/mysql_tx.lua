-- What is MySQL's own of `lunet.mysql_tx`.

local db, transactions = ...

return transactions()(db, {
    begin = function() return 'SET autocommit=0' end,
    after = 'SET autocommit=1',
})
