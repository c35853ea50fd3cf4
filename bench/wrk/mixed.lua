-- Reads nine times for each write; WRITES=30 writes in 30 of 100 requests:
--   wrk -t2 -c64 -d10s --latency -s mixed.lua http://127.0.0.1:2379

package.path = (os.getenv("COPSE_WRK") or ".") .. "/?.lua;" .. package.path
local copse = require("common")

setup, done = copse.threads, copse.done

local writes = tonumber(os.getenv("WRITES") or "") or 10
local gets, puts = {}, {}

function init()
  copse.seed()
  for i = 1, copse.keys do
    gets[i] = copse.get(i)
    puts[i] = copse.put(i)
  end
end

function request()
  if math.random(100) <= writes then return puts[copse.any()] end
  return gets[copse.any()]
end
