-- Records an announce, and returns the counts and a sample of the swarm's peers.
-- KEYS[1]: the torrent, or a part of it. ARGV: 1 address, 2 group, 3 time, 4 the rest of
-- the record, 5 families, 6 ask, 7 want (see sample), 8 how many parts the torrent has, as
-- far as the tracker knows, or '' where the key is not the torrent's own, 9 a random
-- number, and perhaps 10 flags, 11 the record that the peer had in another part.
-- Flags: c the download is complete now; m the peer is located; k refuse a peer that is not
-- known; f add nobody; n add no torrent.
local t, addr, group, last, flags = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[10] or ''
local c = counts(t)
local home = ARGV[8] ~= ''
if home and (c[8] or '1') ~= ARGV[8] then
  return {'parts ' .. (c[8] or '1')}
end
local here = redis.call('HGET', t .. ':peers', addr)
local old = here
if not here and ARGV[11] then
  old = ARGV[11]
end
if not here and flags ~= '' then
  if string.find(flags, 'k', 1, true) then
    return {'stranger'}
  elseif not old then
    local limit = string.find(flags, 'f', 1, true) and 'full '
    if home and string.find(flags, 'n', 1, true) and redis.call('EXISTS', t) == 0 then
      limit = 'crowded '
    end
    if limit then
      local out = {limit .. line(c)}
      sample(out, t, c, ARGV[5], ARGV[6], tonumber(ARGV[7]), ARGV[9])
      return out
    end
  end
end
local first = last
if old then
  first = string.sub(old, 4, 13)
  local before = string.sub(old, 15, 24)
  if tonumber(before) > tonumber(last) then
    last = before
  end
end
put(t, home, addr, here, group .. ' ' .. first .. ' ' .. last .. ' ' .. ARGV[4], c)
if flags ~= '' and string.find(flags, 'c', 1, true) and string.sub(group, 1, 1) == 's'
  and not (old and string.sub(old, 1, 1) == 's') then
  c[7] = redis.call('HINCRBY', t, 'completed', 1)
end
if home and not c[9] and string.find(flags, 'm', 1, true) then
  redis.call('HSET', t, 'located', 1)
  c[9] = 1
end
local out = {line(c)}
sample(out, t, c, ARGV[5], ARGV[6], tonumber(ARGV[7]), ARGV[9])
return out
