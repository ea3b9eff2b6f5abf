-- Doubles the parts of a torrent, unless it has located peers, or another tracker has
-- done so. KEYS[1]: the torrent. ARGV: how many parts it has. Returns how many it has now.
local parts = redis.call('HGET', KEYS[1], 'parts') or '1'
if parts == ARGV[1] and redis.call('EXISTS', KEYS[1]) == 1 and redis.call('EXISTS', KEYS[1] .. ':located') == 0 then
  parts = parts * 2
  redis.call('HSET', KEYS[1], 'parts', parts)
end
return tostring(parts)
