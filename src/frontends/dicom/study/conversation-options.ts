/** What an open association in study routing is made of. */
import type { Associate } from '../../../../protocols/dicom/associate.ts';
import type { IsUrgentOrder } from '../../../../protocols/dicom/message-facts.ts';
import type { Facts } from '../../../../protocols/facts.ts';
import type { Server } from '../../../pools/server.ts';
import type { Channel } from '../../../relay/channel.ts';
import type { AssociationRecord } from '../record.ts';
import type { PlacementHost, PlacementSettings } from './placement-options.ts';
import type { ReplayBudget } from './replay-budget.ts';

export interface StudySettings extends PlacementSettings {
  readonly timeouts: PlacementSettings['timeouts'] & {
    /** Milliseconds without a byte inside a message. */
    readonly stall: number;
    /** Milliseconds without a byte while nothing is open. */
    readonly idle: number;
  };
  /** Tags that decide where a message goes, ascending. */
  readonly tags: readonly number[];
  readonly budget: ReplayBudget;
  /** Is there a STAT order for this accession number or study? */
  readonly isUrgentOrder: IsUrgentOrder | undefined;
}

export interface StudyConversationOptions {
  readonly settings: StudySettings;
  readonly host: PlacementHost;
  readonly client: Channel;
  readonly record: AssociationRecord;
  readonly request: Associate;
  /** Facts of the association. */
  readonly facts: Facts;
  /** The server that leads, its connection, and its A-ASSOCIATE-AC. */
  readonly lead: { readonly server: Server; readonly channel: Channel; readonly accept: Buffer };
  /** Bytes that came before. */
  readonly early: { readonly toServer: Buffer; readonly toClient: Buffer };
  /** Every connection is gone. */
  readonly over: () => void;
}
