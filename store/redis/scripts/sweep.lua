-- Removes a part of a torrent that has no peers, and returns the completed downloads that it
-- had. KEYS[1]: the part.
local t = KEYS[1]
if redis.call('EXISTS', t .. ':peers') == 1 then
  return 0
end
local completed = redis.call('HGET', t, 'completed')
redis.call('UNLINK', t)
return tonumber(completed or 0)
