-- Writes the keys that the other scripts read; once before them:
--   wrk -t1 -c16 -d3s -s fill.lua http://127.0.0.1:2379
-- It goes round and round: it says how many requests it
-- made, and that has to be more than there are keys.

package.path = (os.getenv("COPSE_WRK") or ".") .. "/?.lua;" .. package.path
local copse = require("common")

setup, done = copse.threads, copse.done

local n = 0

function request()
  n = n % copse.keys + 1
  return copse.put(n)
end
