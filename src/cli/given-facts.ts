/** The facts that `gantry explain` is asked about: from the command line, from a message, from a DICOM file. */
import { indexAssociate } from '../../protocols/dicom/associate.ts';
import { COMMAND, PRIORITY } from '../../protocols/dicom/command-set.ts';
import { createDataSetPeek } from '../../protocols/dicom/data-set-peek.ts';
import { associationFacts } from '../../protocols/dicom/facts.ts';
import { messageFacts, WANTED_TAGS } from '../../protocols/dicom/message-facts.ts';
import { modalityOf } from '../../protocols/dicom/modality.ts';
import { parseTag } from '../../protocols/dicom/tags.ts';
import { type Facts, type FactValue, factsFrom, firstValue } from '../../protocols/facts.ts';
import { type Message, openMessage } from '../../protocols/hl7/cursor.ts';
import { messageFacts as hl7MessageFacts } from '../../protocols/hl7/facts.ts';
import { fieldPath } from '../../protocols/hl7/field-path.ts';
import { requestFacts } from '../../protocols/http/facts.ts';
import { factFault } from '../config/fact-names.ts';
import type { VipConfiguration } from '../config/schema.ts';
import { createInflate } from '../frontends/dicom/inflate.ts';
import { usageFailure } from './failure.ts';
import { messagesIn } from './hl7-file.ts';
import { readInput } from './input.ts';
import { isPart10, type Part10, readPart10 } from './part10.ts';

/** `--called X --PID-3.4=Y …` as a record; a fact that is there several times has several values. */
export function parseFacts(words: readonly string[], vip: VipConfiguration): Record<string, FactValue> {
  const given = new Map<string, string[]>();
  const source = vip.protocol === 'dicom' ? { ...vip, route: vip.dicom.route } : vip;
  for (let index = 0; index < words.length; index++) {
    const match = /^--([^=]+)(?:=(.*))?$/s.exec(words[index]!);
    if (!match) throw usageFailure(`"${words[index]}" is not --FACT VALUE`);
    const [, name = '', attached] = match;
    const fault = factFault(name, source);
    if (fault !== undefined) throw usageFailure(`--${name} ${fault}`);
    const value = attached ?? words[++index];
    if (value === undefined) throw usageFailure(`--${name} has no value`);
    given.set(name, [...(given.get(name) ?? []), value]);
  }
  return Object.fromEntries(
    [...given].map(([name, values]) => [name, values.length === 1 ? values[0] : values]),
  );
}

/** The first message of a file, or the batch that it begins with, for a VIP that routes messages. */
export function messageIn(file: string, vip: VipConfiguration): Message {
  needProtocol('hl7', vip);
  const [first] = messagesIn(readInput(file), true);
  if (!first) throw usageFailure(`${file} has no HL7 message: none begins with MSH`);
  const message = openMessage(first);
  if (message.problem !== undefined)
    throw usageFailure(`${file} has no readable HL7 message: ${message.problem}`);
  return message;
}

function needProtocol<Wanted extends 'hl7' | 'dicom'>(
  wanted: Wanted,
  vip: VipConfiguration,
): asserts vip is Extract<VipConfiguration, { readonly protocol: Wanted }> {
  if (vip.protocol === wanted) return;
  const what = vip.protocol === null ? `has mode ${vip.mode}, which reads nothing` : `speaks ${vip.protocol}`;
  throw usageFailure(`--${wanted} is for a VIP of protocol ${wanted}; ${vip.name} ${what}`);
}

/** The facts of a connection to `vip`, from what was `given` and, behind it, from a message or the bytes of a file. */
export function givenFacts(
  vip: VipConfiguration,
  given: Readonly<Record<string, FactValue>>,
  { message, dicom }: { readonly message?: Message | undefined; readonly dicom?: string | undefined },
): Facts {
  // C-STORE with priority HIGH is urgent, unless it was said that it is not.
  const urgent = given.priority === 'high' ? { urgent: 'true' } : {};
  // What was said of the sender holds for the whole message.
  const senders = given.sendingApp === undefined ? {} : { sendingApps: undefined };
  const known = { vip: vip.name, port: String(vip.listen[0]?.port), ...urgent, ...senders, ...given };
  const read = message
    ? factsOfMessage(message, vip)
    : dicom === undefined
      ? undefined
      : factsOfDicom(dicom, vip);
  if (!read) return vip.protocol === 'http' ? factsOfRequest(known) : factsFrom(known);
  return { get: (name) => (Object.hasOwn(known, name) ? known[name as keyof typeof known] : read.get(name)) };
}

/** As a request has them: its host in lower case, its path normalised, its query taken apart. */
function factsOfRequest(given: Readonly<Record<string, FactValue>>): Facts {
  const { port, sni, tlsSubject } = given;
  const [method = '', host, path, client = '', vip = ''] = ['method', 'host', 'path', 'client', 'vip'].map(
    (name) => firstValue(given[name]),
  );
  const rawHeaders = Object.entries(given).flatMap(([name, value = []]) => {
    const [, part, field = ''] = /^(header|cookie)\.(.+)$/.exec(name) ?? [];
    if (part === undefined) return [];
    return [value]
      .flat()
      .flatMap((each) => (part === 'header' ? [field, each] : ['Cookie', `${field}=${each}`]));
  });
  const request = { method, host, target: path ?? '/', rawHeaders };
  const facts = requestFacts(request, { client, vip, port, sni, tlsSubject });
  return {
    get(name) {
      // What was not said is unknown.
      if (name === 'path' && path === undefined) return undefined;
      return facts.get(name) || given[name];
    },
  };
}

function factsOfMessage(message: Message, vip: VipConfiguration): Facts {
  needProtocol('hl7', vip);
  const { patient, accession } = vip.hl7;
  return hl7MessageFacts(message, {}, { patient, accession: accession.map(fieldPath) });
}

/**
 * Of a file: as an association that brings it would be, and with study routing the C-STORE of it. Of an A-ASSOCIATE-RQ
 * (01 00 …): its own.
 */
function factsOfDicom(file: string, vip: VipConfiguration): Facts {
  needProtocol('dicom', vip);
  const bytes = readInput(file);
  if (isPart10(bytes)) {
    const instance = readPart10(bytes);
    const { sopClass } = instance;
    if (sopClass === undefined) throw usageFailure(`${file} does not tell its SOP class (0002,0002)`);
    const association = factsFrom({ sopClass, modality: modalityOf([sopClass]) });
    if (vip.dicom.route === 'association') return association;
    return factsOfInstance(association, instance, file, vip.dicom.tags);
  }
  if (bytes[0] !== 1 || bytes[1] !== 0) {
    throw usageFailure(`${file} is neither a DICOM file nor a captured A-ASSOCIATE-RQ`);
  }
  try {
    return associationFacts(indexAssociate(bytes));
  } catch (error) {
    throw usageFailure(`${file} is not a whole A-ASSOCIATE-RQ: ${(error as Error).message}`);
  }
}

/** Of the C-STORE of an instance, with the priority that senders give it. */
function factsOfInstance(association: Facts, instance: Part10, file: string, tags: readonly string[]): Facts {
  const { sopClass, sopInstance, transferSyntax, dataSet } = instance;
  if (transferSyntax === undefined) {
    throw usageFailure(`${file} does not tell its transfer syntax (0002,0010)`);
  }
  const wanted = new Set([...WANTED_TAGS, ...tags.flatMap((tag) => parseTag(tag) ?? [])]);
  const peek = createDataSetPeek({
    transferSyntax,
    tags: [...wanted].sort((one, other) => one - other),
    inflate: createInflate(),
  });
  peek.push(dataSet);
  peek.end();
  const command = {
    commandField: COMMAND.C_STORE,
    priority: PRIORITY.MEDIUM,
    affectedSopClass: sopClass,
    affectedSopInstance: sopInstance,
  };
  return messageFacts(association, command, (tag) => peek.value(tag));
}
