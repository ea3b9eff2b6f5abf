-- Removes peers that were silent for long. The index :seen says when a peer was seen, or
-- earlier: one that was seen since is put at its right place.
-- KEYS[1]: the tag's index. ARGV: 1 the time before which a peer was seen last, 2 how many
-- to look at. Returns how many were looked at and how many removed; then "empty" and a
-- torrent that may have no peers left in any part, or "gone", a torrent that has located
-- peers, and one that was removed, or that is located but was never recorded.
local tag = string.sub(KEYS[1], 1, -6)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[2])
local out, before = {#due, 0}, tonumber(ARGV[1])
for _, member in ipairs(due) do
  local hash, addr = string.sub(member, 1, 40), string.sub(member, 42)
  local record = redis.call('HGET', tag .. ':' .. hash .. ':peers', addr)
  local last = record and string.sub(record, 15, 24)
  if not record then
    redis.call('ZREM', KEYS[1], member)
    -- Of a split torrent it may be recorded in another part.
    if redis.call('HEXISTS', tag .. ':' .. hash .. ':said', addr) == 1 and redis.call('HEXISTS', tag .. ':' .. hash, 'parts') == 0 then
      out[#out + 1] = 'gone ' .. hash .. ' ' .. addr
    end
  elseif tonumber(last) >= before then
    redis.call('ZADD', KEYS[1], last, member)
  else
    out[2] = out[2] + 1
    local located = redis.call('HEXISTS', tag .. ':' .. hash, 'located') == 1
    if remove(tag, hash, addr, record) then
      out[#out + 1] = 'empty ' .. hash
    end
    if located then
      out[#out + 1] = 'gone ' .. hash .. ' ' .. addr
    end
  end
end
return out
