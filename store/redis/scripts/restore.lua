-- Puts peers in as they were, where what is there is older, and a completed count, where
-- that is higher. KEYS[1]: the torrent, or a part of it. ARGV: 1 how many parts the torrent
-- has, as far as the tracker knows, or ''; 2 completed count; then of each peer its address
-- and its record.
local t = KEYS[1]
local c = counts(t)
local home = ARGV[1] ~= ''
if home and (c[8] or '1') ~= ARGV[1] then
  return 'parts ' .. (c[8] or '1')
end
for i = 3, #ARGV, 2 do
  local addr, record = ARGV[i], ARGV[i + 1]
  local old = redis.call('HGET', t .. ':peers', addr)
  if not old or tonumber(string.sub(old, 15, 24)) <= tonumber(string.sub(record, 15, 24)) then
    put(t, home, addr, old, record, c)
  end
end
local completed = tonumber(ARGV[2])
if completed > tonumber(c[7] or 0) then
  if home and redis.call('EXISTS', t) == 0 then
    redis.call('ZADD', string.sub(t, 1, -42) .. ':torrents', 0, string.sub(t, -40))
    redis.call('HINCRBY', string.sub(t, 1, -42) .. ':totals', 'torrents', 1)
  end
  redis.call('HSET', t, 'completed', completed)
end
return 'ok'
