"""An HL7 receiver on Debian's python3-hl7 (asyncio): hl7-receiver.py PORT. Prints the control id of each message."""

import asyncio
import sys

import hl7.mllp


async def receive(reader, writer):
    try:
        while True:
            message = await reader.readmessage()
            print("got", message.segment("MSH")[10], flush=True)
            writer.writemessage(message.create_ack())
            await writer.drain()
    except asyncio.IncompleteReadError:
        writer.close()


async def main():
    async with await hl7.mllp.start_hl7_server(
        receive, host="127.0.0.1", port=int(sys.argv[1]), encoding="latin-1"
    ) as server:
        await server.serve_forever()


asyncio.run(main())
