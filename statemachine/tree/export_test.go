package tree

// AppendMembers is for the tests of package tree_test.
var AppendMembers = appendMembers
