-- A group is the peers of one kind and family, under :GROUP: entries of a fixed width, the
-- address, spaces, and 20 bytes of peer id, without gaps. What is behind as many as the
-- torrent counts is rubbish. A peer's record says at which place it stands, from 0.

local function width(group)
  return string.sub(group, 2, 2) == '4' and 42 or 68
end

-- Returns the entry of a peer whose record is given.
local function entry(group, addr, record)
  return addr .. string.rep(' ', width(group) - 20 - #addr) .. string.sub(record, -20)
end

-- Writes an entry at a place, and returns that as records have it.
local function enter(t, group, place, e)
  redis.call('SETRANGE', t .. ':' .. group, place * #e, e)
  return string.format('%08d', place)
end

-- Takes the entry at a place out of a group of n: the last one moves there.
local function leave(t, group, place, n)
  local call, key, w, last = redis.call, t .. ':' .. group, width(group), n - 1
  if last == 0 then
    call('DEL', key)
    return
  end
  if place ~= last then
    local e = call('GETRANGE', key, last * w, n * w - 1)
    local addr = string.match(e, '^[^ ]*')
    local record = call('HGET', t .. ':peers', addr)
    if record then
      call('SETRANGE', key, place * w, e)
      call('HSET', t .. ':peers', addr, string.sub(record, 1, 25) .. string.format('%08d', place) .. string.sub(record, 34))
    end
  end
  if last % 32 == 0 and call('STRLEN', key) > 2 * last * w then
    call('SET', key, call('GETRANGE', key, 0, last * w - 1))
  end
end
