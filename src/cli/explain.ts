/** `gantry explain -c FILE --vip NAME [--FACT VALUE]…`: what the balancer would do, and why. */
import type { Command } from 'commander';
import type { Configuration, VipConfiguration } from '../config/schema.ts';
import type { Explanation } from '../director/director.ts';
import type { DeliveryExplanation } from './explain-delivery.ts';
import { usageFailure } from './failure.ts';

interface ExplainOptions {
  readonly config: string;
  readonly vip?: string;
  readonly hl7?: string;
  readonly dicom?: string;
  readonly json?: true;
  readonly live?: true;
}

export function addExplain(program: Command): void {
  program
    .command('explain')
    .description('tell which rule, persistence key and server a connection or message would get, and why')
    .usage('-c FILE --vip NAME [--FACT VALUE]… [--hl7 FILE | --dicom FILE] [--json]')
    .requiredOption('-c, --config <file>', 'the configuration')
    .option('--vip <name>', 'where it comes to; not needed when there is one VIP only')
    .option('--hl7 <file>', 'take the facts from the first message of a file')
    .option('--dicom <file>', 'take the facts from a DICOM file, or from a captured A-ASSOCIATE-RQ')
    .option(
      '--json',
      '{ vip, rule, persistence, urgent, candidates: [{ server, reason }], exhausted, reject, delivery }',
    )
    .option('--live', 'ask the running balancer (not built yet)')
    .allowUnknownOption()
    .argument('[facts...]', 'facts by name, each with its value: --called X --PID-3.4 Y')
    .addHelpText(
      'after',
      `
Works without a running balancer: every server counts as up and idle.

Examples:
  gantry explain -c gantry.yaml --vip ARCHIVE --called STAT1 --calling CT1 --modality CT --client 10.1.2.3
  gantry explain -c gantry.yaml --vip ARCHIVE --command C-STORE --priority high --study 1.2.3
  gantry explain -c gantry.yaml --vip RIS --hl7 admission.hl7
  gantry explain -c gantry.yaml --vip PORTAL --method GET --host portal.example --path "/chat/room?id=1"`,
    )
    .action(async (words: string[], options: ExplainOptions) => {
      if (options.live) throw usageFailure('--live is not built yet');
      if (options.hl7 !== undefined && options.dicom !== undefined) {
        throw usageFailure('--hl7 and --dicom exclude each other');
      }
      const { needConfiguration } = await import('./configuration.ts');
      const configuration = await needConfiguration(options.config);
      const vip = await findVip(configuration, options.vip);
      const { givenFacts, messageIn, parseFacts } = await import('./given-facts.ts');
      const given = parseFacts(words, vip);
      const message = options.hl7 === undefined ? undefined : messageIn(options.hl7, vip);
      const facts = givenFacts(vip, given, { message, dicom: options.dicom });
      const { assemble } = await import('../assemble.ts');
      // No clock and no chance: the same question has the same answer.
      const assembly = assemble(configuration, { now: () => 0, random: () => 0.5 });
      const explanation = assembly.directors.get(vip.name)!.explain(facts);
      const { explainDelivery } = await import('./explain-delivery.ts');
      const delivery =
        message && explanation.reject === undefined ? explainDelivery(vip, message) : undefined;
      const say = options.json ? explanationJson : explanationText;
      process.stdout.write(say(explanation, delivery));
    });
}

async function findVip({ vips }: Configuration, name: string | undefined): Promise<VipConfiguration> {
  const names = vips.map((vip) => vip.name);
  const found = name === undefined && vips.length === 1 ? vips[0] : vips.find((vip) => vip.name === name);
  if (found) return found;
  if (name === undefined) throw usageFailure(`--vip is needed: there are ${names.join(', ')}`);
  const { advice } = await import('../config/fault.ts');
  throw usageFailure(`there is no VIP "${name}": ${advice(name, names)}`);
}

function explanationJson(
  { vip, rule, candidates, ...rest }: Explanation,
  delivery: DeliveryExplanation | undefined,
): string {
  const { persistence = null, urgent = null, exhausted = null, reject = null } = rest;
  const document = {
    vip,
    rule,
    persistence,
    urgent,
    candidates,
    exhausted,
    reject,
    delivery: delivery ?? null,
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function explanationText(explanation: Explanation, delivery: DeliveryExplanation | undefined): string {
  const { vip, rule, persistence, urgent, candidates, exhausted, reject } = explanation;
  const lines = [
    `vip          ${vip}`,
    `rule         ${rule}`,
    `persistence  ${persistence ? `${persistence.by} = ${persistence.key}` : 'none'}`,
    ...(urgent === undefined ? [] : [`urgent       ${urgent}`]),
    ...(delivery ? deliveryLines(delivery) : []),
    ...(reject === undefined ? [] : [`reject       ${reject}`]),
    ...(exhausted === undefined ? [] : [`candidates   none: ${exhausted}`]),
    ...candidates.map(
      ({ server, reason }, index) =>
        `${index === 0 ? 'candidates   ' : '             '}${index + 1}. ${server}: ${reason}`,
    ),
  ];
  return `${lines.join('\n')}\n`;
}

function deliveryLines({ stored, why, order, keys }: DeliveryExplanation): string[] {
  const behind = keys === 'whole' ? 'everything that came to this VIP before' : keys.join(', ');
  return [
    `delivery     ${stored ? 'stored' : 'relayed'}: ${why}`,
    `order        ${behind === '' ? 'none' : `by ${order}: behind ${behind}`}`,
  ];
}
