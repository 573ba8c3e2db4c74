/** `gantry demo`: what `npm start` runs. */
import type { Command } from 'commander';
import { usageFailure } from './failure.ts';

interface PortOptions {
  readonly dicomPort: string;
  readonly hl7Port: string;
  readonly httpPort: string;
  readonly adminPort: string;
}

export function addDemo(program: Command): void {
  program
    .command('demo')
    .description('run a balancer in front of embedded servers, to try it out')
    .option('--dicom-port <port>', 'the DICOM port on 127.0.0.1', '11112')
    .option('--hl7-port <port>', 'the HL7 port', '2310')
    .option('--http-port <port>', 'the HTTP port', '8080')
    .option('--admin-port <port>', 'the port of the admin API', '9090')
    .addHelpText('after', '\nExample:\n  gantry demo --dicom-port 11113')
    .action(async ({ dicomPort, hl7Port, httpPort, adminPort }: PortOptions) => {
      const ports = {
        dicomPort: portOf('--dicom-port', dicomPort),
        hl7Port: portOf('--hl7-port', hl7Port),
        httpPort: portOf('--http-port', httpPort),
        adminPort: portOf('--admin-port', adminPort),
      };
      const { runDemo } = await import('../demo/demo.ts');
      await runDemo(ports);
    });
}

/** Port 0 is chosen by the system. */
function portOf(option: string, written: string): number {
  const port = Number(written);
  if (/^\d{1,5}$/.test(written) && port <= 65_535) return port;
  throw usageFailure(`${option} "${written}" is not a port: 0 to 65535 would be right`);
}
