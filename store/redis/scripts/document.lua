-- Writes a document if its version is still the one given, and returns 1, else 0.
-- KEYS[1]: the document. ARGV: 1 its name, 2 the version, '' for one that is not there,
-- 3 the new version, '' to remove it, 4 the value.
local version = redis.call('HGET', KEYS[1], 'version')
local index = string.sub(KEYS[1], 1, -#ARGV[1] - 2) .. 's'
if ARGV[3] == '' and not version or version == ARGV[3] then
  return 1 -- it was done; the answer got lost
elseif (version or '') ~= ARGV[2] then
  return 0
elseif ARGV[3] == '' then
  redis.call('UNLINK', KEYS[1])
  redis.call('ZREM', index, ARGV[1])
  return 1
end
redis.call('HSET', KEYS[1], 'version', ARGV[3], 'value', ARGV[4])
if not version then
  redis.call('ZADD', index, 0, ARGV[1])
end
return 1
