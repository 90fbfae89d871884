"""The fix of each validation rule, for error messages."""

from collections.abc import Mapping

RULE_FIXES: Mapping[str, str] = {
    "image_empty": "Write an image name in each row.",
    "image_missing": "Add the image files, or correct the image names in the table.",
    "image_ambiguous": "Write the path of the image below the image folder into the table.",
    "image_in_train": "Move these images to one folder, or remove these rows.",
    "image_in_test": (
        "Images of the test split must not be rated. Move these images to the train folder, or remove these rows."
    ),
    "image_set_aside": "Replace the invalid images. The quarantine table lists the problem of each image.",
    "text_empty": "Write a text in each row.",
    "query_text_unknown": "Add the texts of these query IDs, or correct the query IDs.",
    "query_in_test": (
        "Queries of the test split must not be rated. Remove these rows, or remove the queries from the test queries."
    ),
    "query_in_train": "Remove these texts from the test queries or from the training texts.",
    "query_id_empty": "Write a query ID in each row.",
    "query_id_conflict": "Give each text its own query ID.",
    "caption_id_invalid": "Write each caption ID as image#k, such as beach.jpg#0.",
    "caption_id_conflict": "Give each caption its own caption ID.",
    "duplicate_row": (
        "Remove the repeated rows. If they are ratings by different people, add a column such as WorkerId that "
        "contains the rater of each row."
    ),
    "rating_not_a_number": (
        "Write each rating as a plain number, such as 4 or 2.5, and clear cells without a rating. Votes such "
        "as yes and no belong in the column crowd_rates, or in rows whose source is crowd."
    ),
    "number_ambiguous": (
        "A comma or point before three digits can separate decimals or thousands. Write numbers such as 1,234 as "
        "1.234 or as 1234."
    ),
    "rating_out_of_scale": (
        "Set ingest.rating_scale to the lowest and the highest rating that raters could give, such as [0, 5]. "
        "If such a number means that a pair was not rated, clear the cells."
    ),
    "scale_invalid": "Write numbers in the columns scale_min and scale_max. scale_min must be lower than scale_max.",
    "votes_invalid": (
        "Write shares as 0.67, 67 %, 2/3, or as a list such as [1, 0, 1], and vote counts as whole numbers "
        "without thousands separators. A spreadsheet can turn 2/3 into a date. If so, format its column as "
        "text."
    ),
    "share_contradicts_votes": (
        "The share must be the number of positive votes divided by the number of votes. Check the order of the columns."
    ),
    "vote_not_yes_or_no": (
        "Write each vote as yes or no, y or n, true or false, 1 or 0, + or -, да or нет, ja or nein, oui or non, "
        "sí or no. Clear cells without a vote."
    ),
    "source_unknown": "Write expert or crowd in the column source. A blank cell means expert.",
    "missing": "Add the image files, or correct the image names in the tables.",
    "name_ambiguous": "Write the path of the image below the image folder into the table.",
    "name_not_utf8": (
        "Rename the files so that their names are valid UTF-8, for example with `convmv -f cp866 -t utf8 -r --notest`, "
        "or extract the archive with `unzip -O cp866`."
    ),
    "empty_file": "Copy the files again.",
    "not_an_image": "Convert the files to JPEG or PNG, or move them out of the image folder.",
    "too_large": "Reduce the size of the images, or increase the limits in the section decoding.",
    "truncated": "Copy the files again.",
    "broken": "Copy the files again, or convert them to JPEG or PNG.",
    "too_slow": "Convert the images to JPEG or PNG, or increase decoding.seconds.",
    "unreadable": "Give this user permission to read the files, or copy the files again.",
    "changed": "Run the command again when no other program writes the files.",
}
"""Fix of each rule, by name of the rule in the quarantine. The statuses of invalid images are rules, too."""

DEFAULT_FIX = "Correct or remove these entries."
"""Fix of a rule that another package defines."""
