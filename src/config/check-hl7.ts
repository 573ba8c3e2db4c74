/** An HL7 VIP: do its keys fit each other, and does its queue have a file of its own? */
import { resolve } from 'node:path';
import { patternFault } from './check-pattern.ts';
import type { File } from './file-schema.ts';
import type { FileVip, Findings } from './findings.ts';

export function checkHl7(vip: FileVip, findings: Findings): void {
  const { hl7 } = vip;
  const at = ['vips', vip.name, 'hl7'];
  if (hl7 === undefined) return;
  const longest = Math.max(hl7.senderTimeout.default, ...Object.values(hl7.senderTimeout.byApplication));
  if (hl7.ackTimeout !== undefined && hl7.ackTimeout > longest) {
    findings.fault([...at, 'ackTimeout'], 'is longer than `senderTimeout`, which bounds everything');
  }
  if (hl7.patient.types !== undefined && hl7.patient.repetition !== undefined) {
    findings.fault([...at, 'patient'], 'has both "types" and "repetition": one of them would be right');
  }
  if (hl7.startBlock === hl7.endBlock && !findings.faulty([...at, 'startBlock'])) {
    findings.fault([...at, 'endBlock'], 'is the same as `startBlock`: they must differ');
  }
  if (hl7.ackMatch === 'position' && hl7.pipeline > 1) {
    findings.fault(
      [...at, 'ackMatch'],
      'needs `pipeline: 1`: of several messages on their way, only MSA-2 tells which one is answered',
    );
  }
  checkDelivery(vip, hl7, findings);
}

/** Keys that only `delivery: store` reads. */
const OF_STORE = ['queue', 'ackOnStore', 'returnTo', 'maxAge', 'maxAttempts', 'onPoison'];

function checkDelivery(
  { name }: FileVip,
  { delivery, queue, maxFrame }: NonNullable<FileVip['hl7']>,
  findings: Findings,
): void {
  const at = ['vips', name, 'hl7'];
  if (findings.faulty([...at, 'delivery'])) return;
  if (delivery === 'relay') {
    for (const key of OF_STORE) {
      if (findings.has([...at, key])) findings.fault([...at, key], 'is for `delivery: store`', true);
    }
  } else if (!findings.has([...at, 'queue'])) {
    findings.fault(
      [...at, 'queue'],
      'is missing: a file for the messages would be right, such as /var/lib/gantry/hl7.queue',
    );
  } else if (queue && queue.size < maxFrame) {
    findings.fault(
      [...at, 'queue', 'size'],
      'is less than `maxFrame`: the longest messages could never be stored',
    );
  }
}

/** A file is one queue's, and nothing else's. `folder`: what paths are relative to. */
export function checkQueueFiles({ vips, table }: File, folder: string, findings: Findings): void {
  const owners = new Map<string, string>();
  if (table.file !== undefined) {
    const snapshot = resolve(folder, table.file);
    owners.set(snapshot, 'table.memory').set(`${snapshot}.journal`, 'table.memory');
  }
  for (const { name, hl7 } of vips) {
    if (hl7?.queue === undefined) continue;
    const at = ['vips', name, 'hl7', 'queue'];
    const file = resolve(folder, hl7.queue.file);
    const owner = owners.get(file);
    if (owner !== undefined) {
      const path = findings.has([...at, 'file']) ? [...at, 'file'] : at;
      findings.fault(path, `${owner} has this file already: one of its own would be right`);
    }
    owners.set(file, name);
  }
}

/** `tls.senders`: can its patterns be read? */
export function checkSenders({ name, tls }: FileVip, findings: Findings): void {
  for (const [subject, applications] of Object.entries(tls?.senders ?? {})) {
    const at = ['vips', name, 'tls', 'senders', subject];
    for (const [application, path] of findings.items(at, applications)) {
      const fault = patternFault('sendingApp', application);
      if (fault !== undefined) findings.fault(path, fault);
    }
  }
}
