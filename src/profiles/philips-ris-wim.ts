import type { Health, Profile } from './profile.ts';

/** The web servers take clients on port 80 and are asked in TLS. */
const HTTPS: Health = { check: 'https', port: 443 };

export const philipsRisWim: Profile = {
  name: 'philips-ris-wim',
  title: 'Philips Healthcare Radiology Information System (RIS) / Workflow Information Management (WIM)',
  services: [
    {
      ref: 'VIP 1',
      name: 'RIS',
      speaks: 'http',
      ports: [80],
      persistence: 'none',
      health: { check: 'none' },
      comment:
        'What no rule fits goes to the pool RIS, which has no checks and is always on: a path that is missing below is still served, only without persistence.',
      backends: [
        { ref: 'VIP 1-B1', name: 'RIS_EM', path: '/em', persistence: 'cookie', health: HTTPS },
        { ref: 'VIP 1-B2', name: 'RIS_IM', path: '/im', persistence: 'cookie', health: HTTPS },
        {
          ref: 'VIP 1-B3',
          name: 'RIS_ServicesWS',
          path: '/servicesws',
          persistence: 'cookie',
          health: HTTPS,
        },
        { ref: 'VIP 1-B4', name: 'RIS_Auth', path: '/auth', persistence: 'none', health: HTTPS },
        { ref: 'VIP 1-B5', name: 'RIS_WS', path: '/ws', persistence: 'none', health: HTTPS },
        { ref: 'VIP 1-B6', name: 'RIS_WEB', path: '/web', persistence: 'none', health: HTTPS },
        { ref: 'VIP 1-B7', name: 'RIS_IWEB_sms', path: '/iweb/sms', persistence: 'cookie', health: HTTPS },
        { ref: 'VIP 1-B8', name: 'RIS_IWEB_gbad', path: '/iweb/gbad', persistence: 'cookie', health: HTTPS },
        {
          ref: 'VIP 1-B9',
          name: 'RIS_IWEBP_ws',
          path: '/iwebp/ws',
          persistence: 'cookie',
          health: { check: 'ping' },
          healthNote:
            'Asked by the program ping (Debian: iputils-ping). A machine that answers it may still have no service: "check: connect" would see that.',
        },
      ],
    },
    {
      ref: 'VIP 2',
      name: 'Patient_Assistance',
      speaks: 'http',
      ports: [80],
      persistence: 'none',
      health: HTTPS,
    },
    {
      ref: 'VIP 3',
      name: 'R2I',
      speaks: 'tcp',
      direct: true,
      ports: '*',
      persistence: 'none',
      health: { check: 'script', port: 443 },
      healthNote:
        'A VIP of all ports: the check needs one of its own. 443 was chosen, which the script gets as $4.',
    },
    {
      ref: 'VIP 4',
      name: 'EIS',
      speaks: 'tcp',
      direct: true,
      ports: '*',
      persistence: 'source-ip',
      health: HTTPS,
      comment: 'A client has one server on all ports.',
      healthNote: 'A VIP of all ports: the check needs one of its own. 443 was chosen.',
    },
    {
      ref: 'VIP 5',
      name: 'External_SMS',
      speaks: 'http',
      ports: [80],
      persistence: 'cookie',
      health: { check: 'connect' },
    },
  ],
};
