/** The facts of an association: what its A-ASSOCIATE-RQ says, under the names of the contract. */
import type { Facts, FactValue } from '../facts.ts';
import type { Associate } from './associate.ts';
import { modalityOf } from './modality.ts';

/** Facts that are not in the request: `client`, `port`, `vip`, `tlsSubject`, `sni`, … */
export type ExtraFacts = Readonly<Record<string, FactValue>>;

export interface AssociationFactsOptions {
  /** AE titles in upper case, to be compared with patterns in upper case. */
  readonly ignoreCase?: boolean;
}

/**
 * `called`, `calling`, `modality`, `sopClass` (all UIDs that are proposed), `user`, `implementation` and those of
 * `extra`, each worked out when it is first asked for.
 */
export function associationFacts(
  associate: Associate,
  extra: ExtraFacts = {},
  options: AssociationFactsOptions = {},
): Facts {
  return new AssociationFacts(associate, extra, options.ignoreCase ?? false);
}

class AssociationFacts implements Facts {
  readonly #associate: Associate;
  readonly #extra: ExtraFacts;
  readonly #ignoreCase: boolean;
  #sopClasses: readonly string[] | undefined;
  #modality: string | undefined;
  #modalityKnown = false;

  constructor(associate: Associate, extra: ExtraFacts, ignoreCase: boolean) {
    this.#associate = associate;
    this.#extra = extra;
    this.#ignoreCase = ignoreCase;
  }

  get(name: string): FactValue {
    const { calledAe, callingAe, userInformation } = this.#associate;
    switch (name) {
      case 'called':
        return this.#ae(calledAe);
      case 'calling':
        return this.#ae(callingAe);
      case 'modality':
        return this.#modalityOnce();
      case 'sopClass':
        return this.#sopClassesOnce().length > 0 ? this.#sopClassesOnce() : undefined;
      case 'user':
        return userName(this.#associate);
      case 'implementation':
        return (
          userInformation.implementationVersionName || userInformation.implementationClassUid || undefined
        );
      default:
        return Object.hasOwn(this.#extra, name) ? this.#extra[name] : undefined;
    }
  }

  #ae(ae: string): string | undefined {
    return (this.#ignoreCase ? ae.toUpperCase() : ae) || undefined;
  }

  #sopClassesOnce(): readonly string[] {
    this.#sopClasses ??= [
      ...new Set(
        this.#associate.presentationContexts.map((context) => context.abstractSyntax).filter(Boolean),
      ),
    ];
    return this.#sopClasses;
  }

  #modalityOnce(): string | undefined {
    if (!this.#modalityKnown) {
      this.#modality = modalityOf(this.#sopClassesOnce());
      this.#modalityKnown = true;
    }
    return this.#modality;
  }
}

/** The name of a user identity of type 1 or 2 (PS3.7 Table D.3-14, UTF-8): tickets and assertions are no names. */
function userName(associate: Associate): string | undefined {
  const identity = associate.userInformation.userIdentity;
  if (identity?.type !== 1 && identity?.type !== 2) return undefined;
  return identity.primary.toString('utf8') || undefined;
}
