-- Returns the counts and a sample of a part. KEYS[1]: the part. ARGV: families, ask, want
-- and a random number.
local c = counts(KEYS[1])
local out = {line(c)}
sample(out, KEYS[1], c, ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4])
return out
