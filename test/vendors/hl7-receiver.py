"""HL7 receivers on Debian's python3-hl7 (asyncio): hl7-receiver.py NAME PORT...

MSH-3 of each acknowledgement is NAME, MSH-4 the addresses of the connection as they are seen here: `LOCAL REMOTE`.
"""

import asyncio
import sys

import hl7.mllp

NAME = sys.argv[1]
PORTS = [int(port) for port in sys.argv[2:]]


async def receive(reader, writer):
    local = writer.get_extra_info("sockname")
    remote = writer.get_extra_info("peername")
    facility = f"{local[0]}:{local[1]} {remote[0]}:{remote[1]}"
    try:
        while True:
            message = await reader.readmessage()
            writer.writemessage(message.create_ack(application=NAME, facility=facility))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main():
    servers = [
        await hl7.mllp.start_hl7_server(receive, host="0.0.0.0", port=port, encoding="latin-1")
        for port in PORTS
    ]
    await asyncio.gather(*[server.serve_forever() for server in servers])


asyncio.run(main())
