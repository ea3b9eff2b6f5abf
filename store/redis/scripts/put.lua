-- Puts a record, which has no place yet, in the place of the one before, false for none,
-- which was known in this part. home: the key is the torrent's own, not that of another
-- part. Changes c too.
local function put(t, home, addr, old, record, c)
  local call, sub = redis.call, string.sub
  local group, id = sub(record, 1, 2), sub(record, -20)
  local was, place = old and sub(old, 1, 2), old and sub(old, 26, 33)
  if was ~= group or sub(old, -20) ~= id then
    local tag, hash = sub(t, 1, -42), sub(t, -40)
    local places = {s4 = 1, s6 = 2, p4 = 3, p6 = 4, l4 = 5, l6 = 6}
    if not old then
      if home and not c[1] and not c[2] and not c[3] and not c[4] and not c[5] and not c[6] and not c[7] and not c[8] then
        call('ZADD', tag .. ':torrents', 0, hash)
        call('HINCRBY', tag .. ':totals', 'torrents', 1)
      end
      call('ZADD', tag .. ':seen', sub(record, 15, 24), hash .. ' ' .. addr)
      call('HINCRBY', tag .. ':totals', 'peers', 1)
    end
    if was == group then
      enter(t, group, tonumber(place), entry(group, addr, record))
    else
      local seeder = (sub(group, 1, 1) == 's' and 1 or 0) - (was and sub(was, 1, 1) == 's' and 1 or 0)
      if seeder ~= 0 then
        call('HINCRBY', tag .. ':totals', 'seeders', seeder)
      end
      if was then
        leave(t, was, tonumber(place), tonumber(c[places[was]]))
        c[places[was]] = call('HINCRBY', t, was, -1)
      end
      place = enter(t, group, c[places[group]] or 0, entry(group, addr, record))
      c[places[group]] = call('HINCRBY', t, group, 1)
    end
  end
  call('HSET', t .. ':peers', addr, sub(record, 1, 25) .. place .. sub(record, 25))
end
