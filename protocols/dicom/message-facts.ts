/** The facts of a DIMSE message, for study routing: what it says itself, and behind it its association's. */
import { type Facts, type FactValue, firstValue } from '../facts.ts';
import { COMMAND, type Command, operationName, PRIORITY } from './command-set.ts';
import { modalityOfSopClass } from './modality.ts';
import { parseTag, TAG } from './tags.ts';

/** What facts with names are taken from, ascending. */
export const WANTED_TAGS: readonly number[] = [
  TAG.ACCESSION_NUMBER,
  TAG.MODALITY,
  TAG.PATIENT_ID,
  TAG.STUDY_INSTANCE_UID,
];

/** What facts want of a command. */
export type CommandFacts = Partial<Command> & Pick<Command, 'commandField'>;

/** Whether an order for that accession number or that study is urgent. */
export type IsUrgentOrder = (accession: string | undefined, study: string | undefined) => boolean;

/** PS3.4 C.2.2.2.4. */
const WILD_CARD = /[*?]/;

const PRIORITIES: ReadonlyMap<number | undefined, string> = new Map([
  [PRIORITY.HIGH, 'high'],
  [PRIORITY.MEDIUM, 'medium'],
  [PRIORITY.LOW, 'low'],
]);

/**
 * `command` (`C-STORE`), `priority`, `sopClass` and `sopInstance` (the command's, whichever it names), `modality` (of the
 * data set, else of the SOP class, else the association's), `study` (of a query only when it is for one), `accession`,
 * `patient`, `urgent` (`true` or none) and any tag as `(gggg,eeee)`; all other names are asked of `association`. `value`:
 * the data set's elements, by tag.
 */
export function messageFacts(
  association: Facts,
  command: CommandFacts,
  value: (tag: number) => FactValue,
  isUrgentOrder?: IsUrgentOrder,
): Facts {
  return new MessageFacts(association, command, value, isUrgentOrder);
}

class MessageFacts implements Facts {
  readonly #association: Facts;
  readonly #command: CommandFacts;
  readonly #value: (tag: number) => FactValue;
  readonly #isUrgentOrder: IsUrgentOrder | undefined;

  constructor(
    association: Facts,
    command: CommandFacts,
    value: (tag: number) => FactValue,
    isUrgentOrder: IsUrgentOrder | undefined,
  ) {
    this.#association = association;
    this.#command = command;
    this.#value = value;
    this.#isUrgentOrder = isUrgentOrder;
  }

  get(name: string): FactValue {
    const command = this.#command;
    switch (name) {
      case 'command':
        return operationName(command.commandField);
      case 'priority':
        return PRIORITIES.get(command.priority);
      case 'sopClass':
        return this.#sopClass();
      case 'sopInstance':
        return command.affectedSopInstance ?? command.requestedSopInstance;
      case 'modality':
        return this.#modality();
      case 'study':
        return this.#study();
      case 'accession':
        return this.#value(TAG.ACCESSION_NUMBER);
      case 'patient':
        return this.#value(TAG.PATIENT_ID);
      case 'urgent':
        return this.#isUrgent() ? 'true' : undefined;
      default: {
        const tag = parseTag(name);
        return tag === undefined ? this.#association.get(name) : this.#value(tag);
      }
    }
  }

  #sopClass(): string | undefined {
    return this.#command.affectedSopClass ?? this.#command.requestedSopClass;
  }

  #modality(): FactValue {
    return (
      this.#value(TAG.MODALITY) ??
      modalityOfSopClass(this.#sopClass() ?? '') ??
      this.#association.get('modality')
    );
  }

  /** A query may ask for a list of studies, or for any by a wild card: then it is about no study in particular. */
  #study(): FactValue {
    const study = this.#value(TAG.STUDY_INSTANCE_UID);
    if (this.#command.commandField === COMMAND.C_STORE || study === undefined) return study;
    return typeof study === 'string' && !WILD_CARD.test(study) ? study : undefined;
  }

  #isUrgent(): boolean {
    if (this.#command.priority === PRIORITY.HIGH) return true;
    const accession = firstValue(this.#value(TAG.ACCESSION_NUMBER));
    const study = firstValue(this.#value(TAG.STUDY_INSTANCE_UID));
    return this.#isUrgentOrder?.(accession, study) ?? false;
  }
}
