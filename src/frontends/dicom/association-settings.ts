/** What an association is told by the configuration, and what the front-end is to it. */
import type { Director } from '../../director/director.ts';
import type { Server } from '../../pools/server.ts';
import type { Waiting } from '../waiting-room.ts';
import type { Association } from './association.ts';
import type { ConversationTimeouts } from './conversation.ts';
import type { SearchSettings } from './server-search.ts';
import type { StudySettings } from './study/conversation-options.ts';

export interface AssociationTimeouts extends ConversationTimeouts {
  /** Milliseconds from TCP accept to a whole A-ASSOCIATE-RQ (ARTIM). */
  readonly request: number;
  /** Milliseconds a try may take, connect and answer, while there is another candidate. */
  readonly connect: number;
  /** Milliseconds for all tries together. */
  readonly accept: number;
}

/** What one configuration says about associations. */
export interface AssociationSettings extends SearchSettings {
  readonly vip: string;
  readonly director: Director;
  readonly timeouts: AssociationTimeouts;
  readonly ignoreCase: boolean;
  /** Study routing; undefined: association routing. */
  readonly study: StudyOptions | undefined;
}

/** What study routing asks beside. */
export interface StudyOptions
  extends Pick<
    StudySettings,
    'storage' | 'wait' | 'tags' | 'budget' | 'isUrgentOrder' | 'affinity' | 'serverAt'
  > {
  /** Associations that do not propose this SOP class are relayed as a whole; undefined: none is. */
  readonly onlyFor: string | undefined;
}

/** What the front-end is to its associations. */
export interface AssociationHost {
  /** Those in force now: an association keeps the ones with which it looked for its server, but for where studies go. */
  readonly settings: AssociationSettings;
  /** Counts the association in when the limits of the VIP and of its calling AE leave room for it. */
  admit(callingAe: string): boolean;
  /**
   * Takes a slot of the server, and gives it back. `isWork`: the association counts as work in hand by itself; not where
   * its operations are counted one by one.
   */
  take(server: Server, isWork: boolean): void;
  free(server: Server, isWork: boolean): void;
  /** May this server get one more association of this VIP? */
  hasRoom(server: Server): boolean;
  /** Does somebody wait who could have a slot of this server, were one free? */
  isWanted(server: Server): boolean;
  /** Puts the association in the wait queue: `tryAgain` is called when something got free. False: no queue. */
  wait(guest: Waiting): boolean;
  /** It has a server, and leaves the wait queue if it was there. */
  waitNoMore(guest: Waiting): void;
  /** The association is over, both connections are gone. Called once. */
  over(association: Association): void;
}
