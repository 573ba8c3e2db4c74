import { describe, expect, test } from 'vitest';
import {
  ACTIONS,
  type Action,
  EVENTS,
  type Event,
  next,
  STATES,
  type State,
} from '../../../protocols/dicom/upper-layer.ts';

const CONNECTED: State[] = ['Sta3', 'Sta5', 'Sta6', 'Sta7', 'Sta8', 'Sta9', 'Sta10', 'Sta11', 'Sta12'];

/**
 * PS3.8 Table 9-10 transcribed row by row: what the row says in most states, then the cells that differ. A PDU that is
 * not expected is AA-1 in Sta2, AA-8 while connected, AA-6 in Sta13.
 */
const UNEXPECTED: Partial<Record<State, Action>> = {
  Sta2: 'AA-1',
  ...Object.fromEntries(CONNECTED.map((state) => [state, 'AA-8'])),
  Sta13: 'AA-6',
};
const STANDARD: Record<Event, Partial<Record<State, Action>>> = {
  Evt1: { Sta1: 'AE-1' },
  Evt2: { Sta4: 'AE-2' },
  Evt3: { ...UNEXPECTED, Sta5: 'AE-3' },
  Evt4: { ...UNEXPECTED, Sta5: 'AE-4' },
  Evt5: { Sta1: 'AE-5' },
  Evt6: { ...UNEXPECTED, Sta2: 'AE-6', Sta13: 'AA-7' },
  Evt7: { Sta3: 'AE-7' },
  Evt8: { Sta3: 'AE-8' },
  Evt9: { Sta6: 'DT-1', Sta8: 'AR-7' },
  Evt10: { ...UNEXPECTED, Sta6: 'DT-2', Sta7: 'AR-6' },
  Evt11: { Sta6: 'AR-1' },
  Evt12: { ...UNEXPECTED, Sta6: 'AR-2', Sta7: 'AR-8' },
  Evt13: { ...UNEXPECTED, Sta7: 'AR-3', Sta10: 'AR-10', Sta11: 'AR-3' },
  Evt14: { Sta8: 'AR-4', Sta9: 'AR-9', Sta12: 'AR-4' },
  Evt15: { ...Object.fromEntries(CONNECTED.map((state) => [state, 'AA-1'])), Sta4: 'AA-2' },
  Evt16: { Sta2: 'AA-2', ...Object.fromEntries(CONNECTED.map((state) => [state, 'AA-3'])), Sta13: 'AA-2' },
  Evt17: {
    Sta2: 'AA-5',
    ...Object.fromEntries(CONNECTED.map((state) => [state, 'AA-4'])),
    Sta4: 'AA-4',
    Sta13: 'AR-5',
  },
  Evt18: { Sta2: 'AA-2', Sta13: 'AA-2' },
  Evt19: { ...UNEXPECTED, Sta13: 'AA-7' },
};

/** The state after each action: PS3.8 Tables 9-6 to 9-9; two where the action decides. */
const NEXT: Record<Action, State | [State, State]> = {
  'AE-1': 'Sta4',
  'AE-2': 'Sta5',
  'AE-3': 'Sta6',
  'AE-4': 'Sta1',
  'AE-5': 'Sta2',
  'AE-6': ['Sta3', 'Sta13'],
  'AE-7': 'Sta6',
  'AE-8': 'Sta13',
  'DT-1': 'Sta6',
  'DT-2': 'Sta6',
  'AR-1': 'Sta7',
  'AR-2': 'Sta8',
  'AR-3': 'Sta1',
  'AR-4': 'Sta13',
  'AR-5': 'Sta1',
  'AR-6': 'Sta7',
  'AR-7': 'Sta8',
  'AR-8': ['Sta9', 'Sta10'],
  'AR-9': 'Sta11',
  'AR-10': 'Sta12',
  'AA-1': 'Sta13',
  'AA-2': 'Sta1',
  'AA-3': 'Sta1',
  'AA-4': 'Sta1',
  'AA-5': 'Sta1',
  'AA-6': 'Sta13',
  'AA-7': 'Sta13',
  'AA-8': 'Sta13',
};

test('there are 13 states, 19 events, 28 actions', () => {
  expect(Object.keys(STATES).length).toBe(13);
  expect(Object.keys(EVENTS).length).toBe(19);
  expect(Object.keys(ACTIONS).sort()).toEqual(Object.keys(NEXT).sort());
});

for (const event of Object.keys(EVENTS) as Event[]) {
  describe(`${event}: ${EVENTS[event]}`, () => {
    test.each(Object.keys(STATES) as State[])('in %s', (state) => {
      const action = STANDARD[event][state];
      const transition = next(state, event);
      if (action === undefined) {
        expect(transition).toBeUndefined();
      } else {
        const [first, second] = [NEXT[action]].flat();
        expect(transition).toEqual({ action, next: first, otherwise: second });
      }
    });
  });
}

test('the main ways lead from idle to idle', () => {
  const walk = (...events: Event[]) =>
    events.reduce<State>((state, event) => next(state, event)!.next, 'Sta1');
  expect(walk('Evt1', 'Evt2', 'Evt3', 'Evt9', 'Evt10', 'Evt11', 'Evt13')).toBe('Sta1');
  expect(walk('Evt5', 'Evt6', 'Evt7', 'Evt10', 'Evt12', 'Evt14', 'Evt17')).toBe('Sta1');
  expect(walk('Evt1', 'Evt2', 'Evt3', 'Evt11', 'Evt12', 'Evt14', 'Evt13')).toBe('Sta1');
});
