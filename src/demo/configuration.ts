/** The demo's configuration: real YAML, written to a file that the user may read, change and run. */

export interface DemoAddresses {
  /** Ports that the DICOM VIP listens on. */
  readonly dicom: readonly number[];
  readonly hl7: number;
  readonly http: number;
  readonly admin: number;
  /** Server name → its port on 127.0.0.1. */
  readonly servers: ReadonlyMap<string, number>;
}

export function demoConfiguration({ dicom, hl7, http, admin, servers }: DemoAddresses): string {
  const server = (name: string) => `{ name: ${name}, address: 127.0.0.1:${servers.get(name)} }`;
  const listen = (ports: readonly number[]) => ports.map((port) => `"127.0.0.1:${port}"`).join(', ');
  return `# What the demo runs. The servers behind it live in the same process, on ports of the system's choosing.
version: 1

admin: { listen: 127.0.0.1:${admin} }

pools:
  archive:                               # two nodes of one archive, in turn
    balance: round-robin
    servers:
      - ${server('pacs-a')}
      - ${server('pacs-b')}
    health: { check: dicom-echo, calling: GANTRY, called: ARCHIVE }
  cross-section:                         # for large series: whoever has least to do
    servers:
      - ${server('ct-mr-a')}
      - ${server('ct-mr-b')}
    health: { check: dicom-echo, calling: GANTRY, called: CTMR }
  research:
    servers:
      - ${server('research')}
    health: { check: connect }
  adt:                                   # two receivers on one database
    servers:
      - ${server('adt-a')}
      - ${server('adt-b')}
  orders:
    servers:
      - ${server('orders')}
  portal:
    servers:
      - ${server('web-a')}
      - ${server('web-b')}
    persistence: { by: cookie, name: SRV }                                     # a browser keeps its server
    health: { check: http, path: / }
  chat:                                  # WebSockets
    servers:
      - ${server('chat-a')}
      - ${server('chat-b')}
    persistence: { by: cookie, name: CHAT }

vips:
  DEMO:
    protocol: dicom
    listen: [${listen(dicom)}]
    routes:                              # the first that fits
      - { when: { called: "STAT*" },        pool: archive, urgent: true }      # urgent: to the least busy node
      - { when: { called: RESEARCH },       pool: research }                   # by called AE title
      - { when: { called: OLDPACS },        reject: called-ae-not-recognized }
      - { when: { modality: [CT, MR] },     pool: cross-section }              # by modality
    pool: archive
  MESSAGES:
    protocol: hl7
    listen: [${listen([hl7])}]
    routes:
      - { when: { type: [ORM, OMI] },       pool: orders }                     # by message type
    pool: adt
    persistence: { by: patient, ttl: 1h }                                      # one patient, one receiver
    hl7: { order: patient }
  WEB:
    protocol: http
    listen: [${listen([http])}]
    routes:
      - { when: { path: "/chat/*" },        pool: chat, rewrite: { path: "/$1" } }   # by path
    pool: portal
`;
}
