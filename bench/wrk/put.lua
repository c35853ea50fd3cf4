-- Overwrites one of the keys:
--   wrk -t2 -c64 -d10s --latency -s put.lua http://127.0.0.1:2379

package.path = (os.getenv("COPSE_WRK") or ".") .. "/?.lua;" .. package.path
local copse = require("common")

setup, done = copse.threads, copse.done

local requests = {}

function init()
  copse.seed()
  for i = 1, copse.keys do requests[i] = copse.put(i) end
end

function request() return requests[copse.any()] end
