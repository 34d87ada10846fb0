-- Requests for wrk: another path each time, so that nobody can remember one. Arguments: method, the path's beginning,
-- bytes of the body, then lines of the head.

local count = 0
local before, after

function init(args)
  local lines = {}
  for index = 4, #args do
    lines[#lines + 1] = args[index] .. "\r\n"
  end
  local size = tonumber(args[3])
  if size > 0 then
    lines[#lines + 1] = "Content-Length: " .. size .. "\r\n"
  end
  before = args[1] .. " " .. args[2]
  after = " HTTP/1.1\r\n" .. table.concat(lines) .. "\r\n" .. string.rep("x", size)
end

function request()
  count = count + 1
  return before .. count .. after
end
