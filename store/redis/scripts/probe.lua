-- Writes nothing new to a tag, to find out whether it can be written to. KEYS[1]: its
-- totals.
return redis.call('HINCRBY', KEYS[1], 'peers', 0)
