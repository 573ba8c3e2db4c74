import type { Backend, Health, Profile } from './profile.ts';

const PARENT =
  'What no rule fits goes to a pool without checks, which is always on. The names say where the servers are: that port, not the one that clients come to.';

export const geTruePacs: Profile = {
  name: 'ge-true-pacs',
  title: 'GE HealthCare True PACS (SP1 and SP2)',
  services: [
    {
      ref: 'VIP 1',
      name: 'WFC_RMQAMQP',
      speaks: 'tcp',
      ports: [8081],
      persistence: 'none',
      health: { check: 'connect' },
      longLived: true,
      comment:
        'AMQP. The servers are asked at 8081 too; RabbitMQ itself has 5672, or 5671 in TLS: write that port behind their addresses if yours do.',
    },
    {
      ref: 'VIP 2',
      name: 'WFC_443',
      speaks: 'https',
      ports: [8443],
      to: { port: 443, tls: true },
      persistence: 'none',
      health: { check: 'none' },
      comment: PARENT,
      backends: backends('VIP 2', 443, { check: 'https' }, [
        'inference',
        'profiling',
        'patient',
        'CCS',
        'auth',
        'outboundhl7',
        'inboundnotification',
        'eventnotificationmanager',
        'outboundeventpolling',
        'metadata',
        'studymanagement',
        'xe',
        'recordmanager',
      ]),
    },
    {
      ref: 'VIP 3',
      name: 'WFC_http',
      speaks: 'http',
      ports: [80],
      persistence: 'none',
      health: { check: 'none' },
      comment:
        'As VIP 2, without TLS. The pools are asked in TLS all the same, as the guide has it, at port 443.',
      backends: backends('VIP 3', 80, { check: 'https', port: 443 }, [
        'inference',
        'profiling',
        'CCS',
        'auth',
        'outboundeventpolling',
        'inboundnotification',
        'eventnotificationmanager',
        'metadata',
        'patient',
        'masterfileapp',
        'masterfiledata',
        'studymanagement',
        'xe',
      ]),
    },
    {
      ref: 'VIP 4',
      name: 'WFC_10443',
      speaks: 'https',
      ports: [8082],
      to: { port: 10443, tls: true },
      persistence: 'none',
      health: { check: 'none' },
      comment: PARENT,
      backends: backends('VIP 4', 10443, { check: 'https' }, ['masterfiledata', 'masterfileapp', 'xeui']),
    },
    {
      ref: 'VIP 5',
      name: 'WFM_karaf_Group',
      speaks: 'https',
      ports: [9094],
      persistence: 'source-ip',
      health: { check: 'https' },
    },
    {
      ref: 'VIP 6',
      name: 'SR_https_vs',
      speaks: 'https',
      ports: [3080],
      persistence: 'none',
      health: { check: 'https' },
    },
  ],
};

/** A pool a service; its path is the service's name. */
function backends(parent: string, port: number, health: Health, services: readonly string[]): Backend[] {
  return services.map((service, index) => ({
    ref: `${parent}-B${index + 1}`,
    name: `WFC_${service}_${port}`,
    path: `/${service.toLowerCase()}`,
    persistence: 'none',
    health,
  }));
}
