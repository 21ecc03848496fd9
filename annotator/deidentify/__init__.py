"""Taking identity out of frames: pseudonyms for ids, masks for burned-in text, a sheet for a second look."""
