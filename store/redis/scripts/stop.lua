-- Removes a peer, and returns the counts that are left; its record, which is empty where
-- it was not there; and 1 if it is there still. KEYS[1]: the torrent, or a part. ARGV: 1
-- address; 2 how many parts the torrent has, as far as the tracker knows, or ''; 3 only if
-- it was seen last before this time, or ''.
local t, addr = KEYS[1], ARGV[1]
local c = counts(t)
if ARGV[2] ~= '' and (c[8] or '1') ~= ARGV[2] then
  return {'parts ' .. (c[8] or '1')}
end
local old = redis.call('HGET', t .. ':peers', addr)
if old and ARGV[3] ~= '' and tonumber(string.sub(old, 15, 24)) >= tonumber(ARGV[3]) then
  return {line(c), '', 1}
end
if old then
  remove(string.sub(t, 1, -42), string.sub(t, -40), addr, old)
  local located = c[9]
  c = counts(t)
  c[9] = located
end
return {line(c), old or '', 0}
