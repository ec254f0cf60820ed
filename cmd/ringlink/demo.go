package main

type demoCommand struct{}

func (c *demoCommand) Run(s *session) error { return nil }
