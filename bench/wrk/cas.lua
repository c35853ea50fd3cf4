-- Compares and swaps: each thread has a key of its own, whose value counts up.
--   wrk -t2 -c2 -d10s --latency -s cas.lua http://127.0.0.1:2379
-- With as many connections as threads every swap is right. With more, those of a
-- thread race, and most answers are a 412, as they are to be; wrk counts those as
-- errors.

package.path = (os.getenv("COPSE_WRK") or ".") .. "/?.lua;" .. package.path
local copse = require("common")

setup, done = copse.threads, copse.done

local value, swapping = 0, false

function request()
  local key = "cas" .. id
  if not swapping then return copse.put(key, "value=0") end
  return copse.put(key, "value=" .. value + 1 .. "&prevValue=" .. value)
end

function response(status)
  if status ~= 200 and status ~= 201 then return end
  if swapping then value = value + 1 end
  swapping = true -- the first answer is to the value 0
end
