-- Forgets a torrent whose parts have no peers and no completed downloads. KEYS[1]: the
-- torrent. ARGV: how many parts it has.
local t = KEYS[1]
local c = redis.call('HMGET', t, 'completed', 'parts')
if not c[1] and c[2] == ARGV[1] and redis.call('EXISTS', t .. ':peers') == 0 then
  redis.call('UNLINK', t, t .. ':located', t .. ':said', t .. ':roles', t .. ':log', t .. ':gone')
  redis.call('ZREM', string.sub(t, 1, -42) .. ':torrents', string.sub(t, -40))
  redis.call('HINCRBY', string.sub(t, 1, -42) .. ':totals', 'torrents', -1)
end
return 1
