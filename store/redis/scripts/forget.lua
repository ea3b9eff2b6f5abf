-- Forgets a torrent whose parts have no peers and no completed downloads. KEYS[1]: the
-- torrent. ARGV: 1 how many parts it has; perhaps 2: it is given up whatever was completed,
-- of which so much was taken out of other parts, and is put here where it stays. Returns 1
-- if it was forgotten.
redis.call('UNLINK', KEYS[2]) -- see remove.lua
local t, taken = KEYS[1], tonumber(ARGV[2])
local c = redis.call('HMGET', t, 'completed', 'parts')
local there = redis.call('EXISTS', t .. ':peers')
if taken and there == 0 then
  there = redis.call('EXISTS', t .. ':said')
end
if (taken or not c[1]) and c[2] == ARGV[1] and there == 0 then
  redis.call('UNLINK', t, t .. ':located', t .. ':said', t .. ':roles', t .. ':log', t .. ':gone')
  redis.call('ZREM', string.sub(t, 1, -42) .. ':torrents', string.sub(t, -40))
  redis.call('HINCRBY', string.sub(t, 1, -42) .. ':totals', 'torrents', -1)
  return 1
elseif taken and taken > 0 and c[2] then
  redis.call('HINCRBY', t, 'completed', taken)
end
return 0
