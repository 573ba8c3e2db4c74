/**
 * The DICOM upper layer state machine (PS3.8 9.2) as data. TABLE is Table 9-10, to be held beside the standard; STATES
 * are Tables 9-1 to 9-5, ACTIONS Tables 9-6 to 9-9.
 */
import { PDU, type PduType } from './pdu.ts';

export const STATES = {
  Sta1: 'Idle',
  Sta2: 'Transport connection open (awaiting A-ASSOCIATE-RQ PDU)',
  Sta3: 'Awaiting local A-ASSOCIATE response primitive (from local user)',
  Sta4: 'Awaiting transport connection opening to complete (from local transport service)',
  Sta5: 'Awaiting A-ASSOCIATE-AC or A-ASSOCIATE-RJ PDU',
  Sta6: 'Association established and ready for data transfer',
  Sta7: 'Awaiting A-RELEASE-RP PDU',
  Sta8: 'Awaiting local A-RELEASE response primitive (from local user)',
  Sta9: 'Release collision requestor side; awaiting A-RELEASE response (from local user)',
  Sta10: 'Release collision acceptor side; awaiting A-RELEASE-RP PDU',
  Sta11: 'Release collision requestor side; awaiting A-RELEASE-RP PDU',
  Sta12: 'Release collision acceptor side; awaiting A-RELEASE response primitive (from local user)',
  Sta13: 'Awaiting transport connection close indication (association no longer exists)',
} as const;

export type State = keyof typeof STATES;

export const EVENTS = {
  Evt1: 'A-ASSOCIATE request (local user)',
  Evt2: 'Transport connect confirmation (local transport service)',
  Evt3: 'A-ASSOCIATE-AC PDU (received on transport connection)',
  Evt4: 'A-ASSOCIATE-RJ PDU (received on transport connection)',
  Evt5: 'Transport connection indication (local transport service)',
  Evt6: 'A-ASSOCIATE-RQ PDU (received on transport connection)',
  Evt7: 'A-ASSOCIATE response primitive (accept)',
  Evt8: 'A-ASSOCIATE response primitive (reject)',
  Evt9: 'P-DATA request primitive',
  Evt10: 'P-DATA-TF PDU',
  Evt11: 'A-RELEASE request primitive',
  Evt12: 'A-RELEASE-RQ PDU (received on open transport connection)',
  Evt13: 'A-RELEASE-RP PDU (received on transport connection)',
  Evt14: 'A-RELEASE response primitive',
  Evt15: 'A-ABORT request primitive',
  Evt16: 'A-ABORT PDU (received on open transport connection)',
  Evt17: 'Transport connection closed indication (local transport service)',
  Evt18: 'ARTIM timer expired (association reject/release timer)',
  Evt19: 'Unrecognized or invalid PDU received',
} as const;

export type Event = keyof typeof EVENTS;

interface ActionDefinition {
  readonly does: string;
  readonly next: State;
  /** Where the action has two outcomes: the state after the second one. */
  readonly otherwise?: State;
}

export const ACTIONS = {
  'AE-1': { does: 'Issue transport connect request primitive', next: 'Sta4' },
  'AE-2': { does: 'Send A-ASSOCIATE-RQ PDU', next: 'Sta5' },
  'AE-3': { does: 'Issue A-ASSOCIATE confirmation (accept) primitive', next: 'Sta6' },
  'AE-4': {
    does: 'Issue A-ASSOCIATE confirmation (reject) primitive and close transport connection',
    next: 'Sta1',
  },
  'AE-5': { does: 'Issue transport connection response primitive; start ARTIM timer', next: 'Sta2' },
  'AE-6': {
    does: 'Stop ARTIM timer; if the request is acceptable issue A-ASSOCIATE indication primitive, otherwise send A-ASSOCIATE-RJ PDU and start ARTIM timer',
    next: 'Sta3',
    otherwise: 'Sta13',
  },
  'AE-7': { does: 'Send A-ASSOCIATE-AC PDU', next: 'Sta6' },
  'AE-8': { does: 'Send A-ASSOCIATE-RJ PDU and start ARTIM timer', next: 'Sta13' },
  'DT-1': { does: 'Send P-DATA-TF PDU', next: 'Sta6' },
  'DT-2': { does: 'Send P-DATA indication primitive', next: 'Sta6' },
  'AR-1': { does: 'Send A-RELEASE-RQ PDU', next: 'Sta7' },
  'AR-2': { does: 'Issue A-RELEASE indication primitive', next: 'Sta8' },
  'AR-3': { does: 'Issue A-RELEASE confirmation primitive and close transport connection', next: 'Sta1' },
  'AR-4': { does: 'Send A-RELEASE-RP PDU and start ARTIM timer', next: 'Sta13' },
  'AR-5': { does: 'Stop ARTIM timer', next: 'Sta1' },
  'AR-6': { does: 'Issue P-DATA indication', next: 'Sta7' },
  'AR-7': { does: 'Send P-DATA-TF PDU', next: 'Sta8' },
  'AR-8': {
    does: 'Issue A-RELEASE indication (release collision); first state for the association requestor, second for the acceptor',
    next: 'Sta9',
    otherwise: 'Sta10',
  },
  'AR-9': { does: 'Send A-RELEASE-RP PDU', next: 'Sta11' },
  'AR-10': { does: 'Issue A-RELEASE confirmation primitive', next: 'Sta12' },
  'AA-1': { does: 'Send A-ABORT PDU (service-user source) and start or restart ARTIM timer', next: 'Sta13' },
  'AA-2': { does: 'Stop ARTIM timer if running; close transport connection', next: 'Sta1' },
  'AA-3': { does: 'Issue A-ABORT or A-P-ABORT indication and close transport connection', next: 'Sta1' },
  'AA-4': { does: 'Issue A-P-ABORT indication primitive', next: 'Sta1' },
  'AA-5': { does: 'Stop ARTIM timer', next: 'Sta1' },
  'AA-6': { does: 'Ignore PDU', next: 'Sta13' },
  'AA-7': { does: 'Send A-ABORT PDU', next: 'Sta13' },
  'AA-8': {
    does: 'Send A-ABORT PDU (service-provider source), issue A-P-ABORT indication and start ARTIM timer',
    next: 'Sta13',
  },
} as const satisfies Record<string, ActionDefinition>;

export type Action = keyof typeof ACTIONS;

/** Table 9-10: a row an event, a column a state; a dot is a blank cell. */
const TABLE = `
       Sta1  Sta2  Sta3  Sta4  Sta5  Sta6  Sta7  Sta8  Sta9  Sta10 Sta11 Sta12 Sta13
Evt1   AE-1  .     .     .     .     .     .     .     .     .     .     .     .
Evt2   .     .     .     AE-2  .     .     .     .     .     .     .     .     .
Evt3   .     AA-1  AA-8  .     AE-3  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
Evt4   .     AA-1  AA-8  .     AE-4  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
Evt5   AE-5  .     .     .     .     .     .     .     .     .     .     .     .
Evt6   .     AE-6  AA-8  .     AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-7
Evt7   .     .     AE-7  .     .     .     .     .     .     .     .     .     .
Evt8   .     .     AE-8  .     .     .     .     .     .     .     .     .     .
Evt9   .     .     .     .     .     DT-1  .     AR-7  .     .     .     .     .
Evt10  .     AA-1  AA-8  .     AA-8  DT-2  AR-6  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
Evt11  .     .     .     .     .     AR-1  .     .     .     .     .     .     .
Evt12  .     AA-1  AA-8  .     AA-8  AR-2  AR-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
Evt13  .     AA-1  AA-8  .     AA-8  AA-8  AR-3  AA-8  AA-8  AR-10 AR-3  AA-8  AA-6
Evt14  .     .     .     .     .     .     .     AR-4  AR-9  .     .     AR-4  .
Evt15  .     .     AA-1  AA-2  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  .
Evt16  .     AA-2  AA-3  .     AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-2
Evt17  .     AA-5  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AR-5
Evt18  .     AA-2  .     .     .     .     .     .     .     .     .     .     AA-2
Evt19  .     AA-1  AA-8  .     AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-7
`;

export interface Transition {
  readonly action: Action;
  readonly next: State;
  /** After AE-6 with a request that is not acceptable, after AR-8 at the acceptor. */
  readonly otherwise: State | undefined;
}

/** What the machine does in `state` on `event`; undefined for a blank cell: that cannot happen. */
export function next(state: State, event: Event): Transition | undefined {
  return TRANSITIONS.get(`${state} ${event}`);
}

/** What the machine does in `state` when a whole PDU of this type comes. Blank cells do not occur for PDUs. */
export function actionOn(state: Exclude<State, 'Sta1' | 'Sta4'>, type: PduType): Action {
  return next(state, EVENT_OF_PDU[type])!.action;
}

const EVENT_OF_PDU: Readonly<Record<PduType, Event>> = {
  [PDU.A_ASSOCIATE_RQ]: 'Evt6',
  [PDU.A_ASSOCIATE_AC]: 'Evt3',
  [PDU.A_ASSOCIATE_RJ]: 'Evt4',
  [PDU.P_DATA_TF]: 'Evt10',
  [PDU.A_RELEASE_RQ]: 'Evt12',
  [PDU.A_RELEASE_RP]: 'Evt13',
  [PDU.A_ABORT]: 'Evt16',
};

const TRANSITIONS = readTable(TABLE);

function readTable(table: string): ReadonlyMap<string, Transition> {
  const [states, ...rows] = table
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  const transitions = new Map<string, Transition>();
  for (const [event, ...cells] of rows) {
    for (const [column, cell] of cells.entries()) {
      if (cell === '.') continue;
      const action = cell as Action;
      const definition: ActionDefinition = ACTIONS[action];
      transitions.set(`${states![column]} ${event}`, {
        action,
        next: definition.next,
        otherwise: definition.otherwise,
      });
    }
  }
  return transitions;
}
