-- Reads DEPTH keys (16) with one write, and takes the answers together:
--   wrk -t2 -c64 -d10s -s pipeline.lua http://127.0.0.1:2379
-- A latency here is that of the whole row.

package.path = (os.getenv("COPSE_WRK") or ".") .. "/?.lua;" .. package.path
local copse = require("common")

setup, done = copse.threads, copse.done

local depth = tonumber(os.getenv("DEPTH") or "") or 16
local rows = {}

function init()
  copse.seed()
  for r = 1, 256 do
    local row = {}
    for i = 1, depth do row[i] = copse.get(copse.any()) end
    rows[r] = table.concat(row)
  end
end

function request() return rows[math.random(#rows)] end
