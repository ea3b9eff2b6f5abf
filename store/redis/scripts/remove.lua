-- Where memory is full, Redis refuses a script's writes that may need some until it has
-- written. This writes nothing, so that peers may leave and make room.
redis.call('UNLINK', KEYS[2])

-- Removes a peer whose record is given, and the torrent where nothing is left of it.
-- Returns true where the torrent has no peers left, and is, or was, split into parts.
local function remove(tag, hash, addr, record)
  local call, t, group = redis.call, tag .. ':' .. hash, string.sub(record, 1, 2)
  call('HDEL', t .. ':peers', addr)
  call('ZREM', tag .. ':seen', hash .. ' ' .. addr)
  call('HINCRBY', tag .. ':totals', 'peers', -1)
  if group == 's4' or group == 's6' then
    call('HINCRBY', tag .. ':totals', 'seeders', -1)
  end
  leave(t, group, tonumber(string.sub(record, 26, 33)), call('HINCRBY', t, group, -1) + 1)
  if call('EXISTS', t .. ':peers') == 1 then
    return false
  end
  local c = call('HMGET', t, 'completed', 'parts')
  if not c[2] then
    call('UNLINK', t .. ':located', t .. ':said', t .. ':roles', t .. ':log', t .. ':gone')
  end
  local home = string.sub(tag, -3, -2) == string.sub(hash, 1, 2)
  if c[1] and not c[2] then
    call('HDEL', t, 'located')
  elseif not c[1] and not (home and c[2]) then
    call('DEL', t)
    if home then
      call('ZREM', tag .. ':torrents', hash)
      call('HINCRBY', tag .. ':totals', 'torrents', -1)
    end
  end
  return not home or c[2] ~= false
end
