-- Gives up torrents that have no peers, and are kept for their completed downloads.
-- KEYS[1]: the tag's torrents. ARGV: 1 from which on, as ZRANGEBYLEX has it, 2 how many to
-- look at, 3 how many to give up at most. Returns the last that was looked at, '' where
-- there are no more; how many were given up; then those that are split, which may have
-- peers in other parts.
redis.call('UNLINK', KEYS[2]) -- see remove.lua
local tag, call = string.sub(KEYS[1], 1, -10), redis.call
local list = call('ZRANGEBYLEX', KEYS[1], ARGV[1], '+', 'LIMIT', 0, ARGV[2])
local gone, most, out = 0, tonumber(ARGV[3]), {'', '0'}
if #list == tonumber(ARGV[2]) then
  out[1] = list[#list]
end
for _, hash in ipairs(list) do
  local t = tag .. ':' .. hash
  if gone == most then
    break
  elseif call('EXISTS', t .. ':peers', t .. ':said') > 0 then
    -- It has peers, or one that is about to be recorded.
  elseif call('HEXISTS', t, 'parts') == 1 then
    out[#out + 1] = hash
  else
    call('UNLINK', t, t .. ':located', t .. ':roles', t .. ':log', t .. ':gone')
    call('ZREM', KEYS[1], hash)
    gone = gone + 1
  end
end
if gone > 0 then
  out[2] = tostring(gone)
  call('HINCRBY', tag .. ':totals', 'torrents', -gone)
end
return out
