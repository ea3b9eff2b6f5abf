-- Takes a step of the map of a torrent's located peers (package shared).
-- KEYS[1]: the torrent. ARGV: 1 to 3 the epoch, the step and the commit that the tracker
-- knows, 4 a new epoch, 5 the time, 6 how many values are announced; then of each an address
-- and 'v' with the value, or '' to remove it; then the same of the records to commit.
-- Returns the epoch, the step, the commit, whether the answer is whole, whether there is a
-- conflict; then 'a' or 'r' with an address, and its value, of all that is new.
local call, t, now = redis.call, KEYS[1], tonumber(ARGV[5])
local meta, log, gone = t .. ':located', t .. ':log', t .. ':gone'
local at = {a = t .. ':said', r = t .. ':roles'}
local m = call('HMGET', meta, 'epoch', 'step', 'commit', 'floor', 'fading')
local epoch, step, commit, floor = m[1] or ARGV[4], tonumber(m[2] or 0), m[3] or '0', tonumber(m[4] or 0)
local same = ARGV[1] == epoch
local whole = not same or tonumber(ARGV[2]) < floor
local news = {}
if not whole then
  news = call('ZRANGEBYSCORE', log, '(' .. ARGV[2], '+inf')
end

local first_commit = 7 + 2 * tonumber(ARGV[6])
local last = #ARGV
local conflict = first_commit < last and not (same and ARGV[3] == commit)
if conflict then
  last = first_commit - 1
end
local mine, removed = {}, not m[1]
if last > 6 then
  step = step + 1
  if last >= first_commit then
    commit = tostring(step)
  end
end
for i = 7, last, 2 do
  local kind = i < first_commit and 'a' or 'r'
  local member, value = kind .. ARGV[i], ARGV[i + 1]
  mine[member] = true
  if value ~= '' then
    -- Its record may fail while it is announced here: then expiry finds it by the index.
    if call('HSET', at[kind], ARGV[i], string.sub(value, 2)) == 1 and kind == 'a' then
      call('ZADD', string.sub(t, 1, -42) .. ':seen', 'NX', now, string.sub(t, -40) .. ' ' .. ARGV[i])
    end
    call('ZADD', log, step, member)
    call('ZREM', gone, member)
  elseif call('HDEL', at[kind], ARGV[i]) == 1 then
    call('ZADD', log, step, member)
    call('ZADD', gone, now, member)
    removed = true
  end
end

-- What was removed is remembered for ten minutes: who asks later gets everything.
for _, member in ipairs(call('ZRANGEBYSCORE', gone, '-inf', now - 600, 'LIMIT', 0, 20)) do
  floor = math.max(floor, tonumber(call('ZSCORE', log, member) or 0))
  call('ZREM', log, member)
  call('ZREM', gone, member)
end
call('HSET', meta, 'epoch', epoch, 'step', step, 'commit', commit, 'floor', floor)
if removed or m[5] then
  local empty = call('EXISTS', at.a, at.r) == 0
  for _, key in ipairs({meta, log, gone}) do
    if empty then
      call('EXPIRE', key, 1200)
    else
      call('PERSIST', key)
    end
  end
  if empty then
    call('HSET', meta, 'fading', 1)
    call('HDEL', t, 'located')
  else
    call('HDEL', meta, 'fading')
  end
  if not empty and call('EXISTS', t) == 1 then
    call('HSET', t, 'located', 1)
  end
end

local out = {epoch .. ' ' .. step .. ' ' .. commit .. ' ' .. (whole and 1 or 0) .. ' ' .. (conflict and 1 or 0)}
if whole then
  for _, kind in ipairs({'a', 'r'}) do
    local all = call('HGETALL', at[kind])
    for i = 1, #all, 2 do
      out[#out + 1] = kind .. all[i]
      out[#out + 1] = all[i + 1]
    end
  end
  return out
end
for _, member in ipairs(news) do
  if not mine[member] then
    out[#out + 1] = member
    out[#out + 1] = call('HGET', at[string.sub(member, 1, 1)], string.sub(member, 2))
  end
end
return out
