/** What the disks of the servers say after a run: which instances are where, and whether studies moved without a reason. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { splitFile } from '../peers/dicom-files.ts';

/** A file on a server's disk. */
export interface Copy {
  readonly server: string;
  readonly sopInstance: string;
  readonly study: string;
  /** SHA-256 of the data set; undefined when the file ends before it begins. */
  readonly dataSet: string | undefined;
  /** When it was last written, milliseconds since 1970. */
  readonly at: number;
}

/** A server that was away, milliseconds since 1970. */
export interface Outage {
  readonly server: string;
  readonly from: number;
  /** Infinity: until the end. */
  readonly to: number;
}

/** A study whose next instance went to another server. */
export interface Move {
  readonly study: string;
  readonly from: string;
  readonly to: string;
  /** When each of the two got its last, its first. */
  readonly left: number;
  readonly came: number;
}

/** A file's time is that of the last tick of the kernel's clock, which goes 100 times a second or more often. */
const TICK_MS = 10;

/** Everything in the folder of a storescp, which names its files `CT.` and the SOP Instance UID. */
export function copiesIn(server: string, folder: string, studyOf: ReadonlyMap<string, string>): Copy[] {
  return readdirSync(folder).map((name) => {
    const path = join(folder, name);
    const sopInstance = name.slice(name.indexOf('.') + 1);
    return {
      server,
      sopInstance,
      study: studyOf.get(sopInstance) ?? '',
      dataSet: dataSetOf(path),
      at: statSync(path).mtimeMs,
    };
  });
}

/** A killed server leaves files that end anywhere. */
function dataSetOf(path: string): string | undefined {
  try {
    return createHash('sha256')
      .update(splitFile(readFileSync(path)).dataSet)
      .digest('hex');
  } catch {
    return undefined;
  }
}

/**
 * Every change of server, study by study, in the order in which the files were written. Of those of one tick nobody knows
 * the order: those on the server where the study was come first.
 */
export function movesOf(copies: readonly Copy[]): Move[] {
  const moves: Move[] = [];
  const sorted = [...copies].sort((a, b) => a.at - b.at);
  for (const ofStudy of Map.groupBy(sorted, ({ study }) => study).values()) {
    let before: Copy | undefined;
    for (const ofTick of Map.groupBy(ofStudy, ({ at }) => at).values()) {
      const isThere = ({ server }: Copy) => server === before?.server;
      for (const copy of [...ofTick.filter(isThere), ...ofTick.filter((one) => !isThere(one))]) {
        if (before && before.server !== copy.server)
          moves.push({
            study: copy.study,
            from: before.server,
            to: copy.server,
            left: before.at,
            came: copy.at,
          });
        before = copy;
      }
    }
  }
  return moves;
}

/** Was the server that the study left away at some time between the two instances? */
export function hasReason({ from, left, came }: Move, outages: readonly Outage[]): boolean {
  return outages.some(
    (outage) => outage.server === from && outage.from <= came + TICK_MS && outage.to >= left,
  );
}
