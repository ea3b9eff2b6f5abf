-- Returns the counts as one line: of each group, of completed downloads, of parts; and 1
-- where there are located peers.
local function line(c)
  return (c[1] or 0) .. ' ' .. (c[2] or 0) .. ' ' .. (c[3] or 0) .. ' ' .. (c[4] or 0) .. ' ' .. (c[5] or 0)
    .. ' ' .. (c[6] or 0) .. ' ' .. (c[7] or 0) .. ' ' .. (c[8] or 1) .. ' ' .. (c[9] or 0)
end

local function counts(t)
  return redis.call('HMGET', t, 's4', 's6', 'p4', 'p6', 'l4', 'l6', 'completed', 'parts', 'located')
end
