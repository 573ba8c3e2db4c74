"""An HL7 receiver on Debian's python3-hl7 (asyncio): hl7-receiver.py PORT. Prints MSH-10 and SHA-256 of each message."""

import asyncio
import hashlib
import sys

import hl7.mllp

# A longer message ends its connection; unless told otherwise it is 64 KiB.
LIMIT = 4 * 1024 * 1024


async def receive(reader, writer):
    try:
        while True:
            block = await reader.readblock()
            message = hl7.parse(block.decode("latin-1"))
            print("got", message.segment("MSH")[10], hashlib.sha256(block).hexdigest(), flush=True)
            writer.writemessage(message.create_ack())
            await writer.drain()
    except asyncio.IncompleteReadError:
        writer.close()


async def main():
    async with await hl7.mllp.start_hl7_server(
        receive, host="127.0.0.1", port=int(sys.argv[1]), encoding="latin-1", limit=LIMIT
    ) as server:
        await server.serve_forever()


asyncio.run(main())
