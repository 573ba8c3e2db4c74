import type { Profile } from './profile.ts';

const STANDBY =
  'The standby of the portal, at an address of its own. Give it the standby servers in the place of *servers where they are other machines.';

export const philipsVuePacs: Profile = {
  name: 'philips-vue-pacs',
  title: 'Philips Vue PACS',
  services: [
    {
      ref: 'VIP 1',
      name: 'DICOM_VIP',
      speaks: 'dicom',
      ports: [2104],
      persistence: 'source-ip',
      health: { check: 'connect' },
      comment:
        'Associations are read: rules may ask for AE titles, modality, SOP class and, in study routing, priority.',
      examples: [
        '- { when: { called: "STAT*" }, pool: DICOM_VIP, urgent: true }     # emergencies: the least busy server',
        '- { when: { modality: [CT, MR, MG] }, pool: LARGE }                # large studies: a pool of their own',
        '- { when: { calling: "ER_*", client: 10.1.0.0/16 }, pool: DICOM_VIP, urgent: true }',
      ],
    },
    {
      ref: 'VIP 2',
      name: 'DMWL_VIP',
      speaks: 'dicom',
      ports: [3320],
      persistence: 'source-ip',
      health: { check: 'connect' },
      comment: 'Modality worklists.',
    },
    {
      ref: 'VIP 3',
      name: 'PORTAL_VIP',
      speaks: 'http',
      ports: [80],
      persistence: 'source-ip',
      health: { check: 'script' },
      backends: [
        {
          ref: 'VIP 3-B1',
          name: 'CHAT',
          path: '/chat',
          persistence: 'none',
          health: { check: 'https', port: 443 },
        },
      ],
    },
    {
      ref: 'VIP 4',
      name: 'PORTAL_VIP_STANDBY',
      speaks: 'http',
      ports: [80],
      persistence: 'source-ip',
      health: { check: 'script' },
      comment: STANDBY,
      backends: [
        {
          ref: 'VIP 4-B1',
          name: 'CHAT_STANDBY',
          path: '/chat',
          persistence: 'none',
          health: { check: 'https', port: 443 },
        },
      ],
    },
    {
      ref: 'VIP 5',
      name: 'CLIENT_VIP',
      speaks: 'tcp',
      ports: [80, 443, 514, 2104, 22104, 32338],
      persistence: 'source-ip',
      health: { check: 'connect' },
      comment:
        'One persistence for all ports: a workstation has one server. Nothing is read here, so that TLS, DICOM and what else it speaks pass as they are.',
      healthNote: 'The first port is asked, 80; "port: 443" would ask another one.',
    },
    {
      ref: 'VIP 6',
      name: 'CLIENT_DB_VIP',
      speaks: 'tcp',
      ports: [1521],
      persistence: 'source-ip',
      health: { check: 'connect' },
      longLived: true,
      comment: 'Oracle.',
    },
    {
      ref: 'VIP 7',
      name: 'HL7_VIP',
      speaks: 'hl7',
      ports: [10010, 4001, 4003, 4005],
      persistence: 'source-ip',
      health: { check: 'connect' },
      comment: 'A message goes to the port that it came to.',
      healthNote: 'The first port is asked, 10010.',
    },
  ],
};
