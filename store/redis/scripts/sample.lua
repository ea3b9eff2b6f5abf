-- Chooses peers at random, as many as the answer could need, and appends to out the name
-- of each group and its entries.
-- c: the counts of the groups; families: '4', '6' or '46'; ask: 's' for a peer that
-- downloads nothing, 'l' for a leecher, 'a' for as many as wanted of seeds and leechers
-- each; want: how many peers the asker wants; seed: a random number, since chance begins
-- anew with each script.
local function sample(out, t, c, families, ask, want, seed)
  if want == 0 then
    return
  end
  local call, floor, random = redis.call, math.floor, math.random
  local v4, v6 = families ~= '6', families ~= '4'
  local s4, s6, p4, p6 = v4 and c[1] or 0, v6 and c[2] or 0, v4 and c[3] or 0, v6 and c[4] or 0
  local l4, l6 = v4 and c[5] or 0, v6 and c[6] or 0

  -- Takes k or somewhat more out of n: four runs, one in each quarter of the group, which
  -- is turned by a random offset first. So every peer is as likely as another.
  local function runs(key, w, n, k)
    if seed then
      math.randomseed(seed)
      seed = nil
    end
    local pieces, length = {}, math.ceil(k / 4)
    local offset = random(0, n - 1)
    for i = 0, 3 do
      local from, to = floor(i * n / 4), floor((i + 1) * n / 4)
      local at = (offset + random(from, to - length)) % n
      pieces[#pieces + 1] = call('GETRANGE', key, at * w, math.min(at + length, n) * w - 1)
      if at + length > n then
        pieces[#pieces + 1] = call('GETRANGE', key, 0, (at + length - n) * w - 1)
      end
    end
    return table.concat(pieces)
  end

  local function take(group, w, n, total, k)
    n = tonumber(n)
    if n == 0 then
      return
    end
    k = n == total and k + 1 or math.min(k + 1, floor(k * n / total) + 5)
    out[#out + 1] = group
    if n <= 64 or n < 2 * k + 8 then
      out[#out + 1] = call('GETRANGE', t .. ':' .. group, 0, n * w - 1)
    else
      out[#out + 1] = runs(t .. ':' .. group, w, n, k)
    end
  end

  local leechers, half = l4 + l6, want
  if ask ~= 's' then
    local seeds, k = s4 + s6 + p4 + p6, want
    if ask == 'l' then
      half = floor((want + 1) / 2)
      k, half = math.max(half, want - leechers + 1), want - math.min(seeds, half)
    end
    take('s4', 42, s4, seeds, k)
    take('s6', 68, s6, seeds, k)
    take('p4', 42, p4, seeds, k)
    take('p6', 68, p6, seeds, k)
  end
  if half > 0 then
    take('l4', 42, l4, leechers, half)
    take('l6', 68, l6, leechers, half)
  end
end
