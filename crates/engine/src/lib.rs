//! The nouns and the journeys: load, run, list, remove.
