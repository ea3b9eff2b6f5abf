package main

import (
	"context"
	"sync"
	"time"

	"waggle/access"
	"waggle/config"
	"waggle/tracker"
)

// guarding is who may announce.
type guarding struct {
	lists  *access.Lists
	tokens *access.Tokens

	endGuarding func() // nil: nothing was begun
	guards      sync.WaitGroup
}

// listsEvery is how often the files of lists are looked at.
const listsEvery = time.Second

// openAccess reads lists, fetches the keys of tokens, and has the tracker ask them. Keys that
// cannot be fetched keep no tracker from starting: who asks it runs it, and it goes on trying.
func (s *service) openAccess(ctx context.Context, o *tracker.Options) error {
	contents, err := readLists(s.config)
	if err != nil {
		return err
	}
	s.lists = access.NewLists(contents, s.log)
	s.tokens = access.NewTokens(access.TokenOptions{Rules: tokenRules(s.config), Log: s.log})
	if err := s.tokens.Fetch(ctx); err != nil {
		s.log.Error("the keys of tokens were not fetched: announces are refused until they are", "error", err)
	}
	o.Welcome = s.lists.Welcome
	o.Doors = append(o.Doors, s.lists, s.tokens)
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	s.endGuarding = end
	s.guards.Go(func() { s.lists.Watch(background, listsEvery) })
	s.guards.Go(func() { s.tokens.Run(background) })
	return nil
}

func (s *service) closeAccess() {
	if s.endGuarding != nil {
		s.endGuarding()
		s.guards.Wait()
	}
}

func readLists(c config.Config) (*access.Contents, error) {
	return access.Read(access.Files{
		ClientsAllow: string(c.Access.ClientsAllow), ClientsDeny: string(c.Access.ClientsDeny),
		NetworksAllow: string(c.Access.NetworksAllow), NetworksDeny: string(c.Access.NetworksDeny),
	})
}

func tokenRules(c config.Config) access.Rules {
	a := &c.Access
	return access.Rules{URL: string(a.TokensJWKS), Issuer: a.TokensIssuer, Audience: a.TokensAudience, Refresh: a.TokensRefresh}
}

// accessFigures count whom lists and tokens refused.
type accessFigures struct {
	Lists  access.Figures
	Tokens access.TokenFigures
}

// recognised is how many peers the tracker recognises, as it wants to be told.
func recognised(c config.Config) int {
	if c.Limits.RecognisedPeers == 0 {
		return tracker.Nobody
	}
	return int(c.Limits.RecognisedPeers)
}
