-- What the scripts share. Run wrk from this directory, or say where it is:
--   COPSE_WRK=/path/to/bench/wrk wrk -s /path/to/bench/wrk/get.lua ...
--
-- KEYS, VALUE and DIR in the environment change the number of keys (1,000), the
-- bytes of a value (64) and the directory (/wrk).

local M = {}

local function number(name, standard)
  return tonumber(os.getenv(name) or "") or standard
end

M.keys = number("KEYS", 1000)
M.value = string.rep("v", number("VALUE", 64))
M.dir = os.getenv("DIR") or "/wrk"

local form = { ["Content-Type"] = "application/x-www-form-urlencoded" }

function M.path(i) return "/v2/keys" .. M.dir .. "/k" .. i end

function M.get(i, query) return wrk.format("GET", M.path(i) .. (query or "")) end

function M.put(i, body, query)
  return wrk.format("PUT", M.path(i) .. (query or ""), form, body or "value=" .. M.value)
end

-- any draws a key; each thread draws others.
function M.any() return math.random(M.keys) end

-- threads numbers the threads, for wrk runs each of them with a state of its own.
-- Assign it to the global setup.
local count = 0
function M.threads(thread)
  count = count + 1
  thread:set("id", count)
end

-- seed is to be called from init.
function M.seed() math.randomseed(os.time() + 7919 * (id or 0)) end

-- done prints what wrk leaves out: the slower percentiles, and every answer that
-- is none, without which the rest means nothing.
function M.done(summary, latency)
  for _, p in ipairs({ 50, 90, 99, 99.9, 99.99 }) do
    io.write(string.format("%7.2f%%  %9.3f ms\n", p, latency:percentile(p) / 1000))
  end
  local e = summary.errors
  local bad = e.status + e.connect + e.read + e.write + e.timeout
  io.write(string.format("%d requests in %.2f s, %d of them without a good answer\n", summary.requests, summary.duration / 1e6, bad))
end

return M
